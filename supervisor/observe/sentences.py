"""Sentences: events as people read them, above a console's prompt and in a log on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    "node_started": "{name} runs, at {endpoint}",
    "node_up": "{name} is up",
    "spread_port_open": "programs of Spread may connect at {endpoint} and {path}",
    "spread_client_cut_off": "the program {session} was cut off: {why}",
    "node_gone": "{name} is gone: {why}",
    "node_stuck": "{name} is stuck: its process runs, but says nothing",
    "node_unstuck": "{name} goes on",
    "peer_unreached": "{why}",
    "changes_refused": "no changes are taken at {node}: {why}",
    "changes_taken": "changes are taken again, by {members}",
    "disk_full": "{name} takes no part in changes until there is room: {why}; what runs goes on",
    "disk_roomy": "{name} has room on its disk again, and takes part in changes",
    "actor_started": "{actor} runs",
    "returned": "{actor} is back: it ran on while its node was missed",
    "actor_returned": "{actor} is back: it ran on while this node was missed",
    "actor_restarts": "{actor} is started again in {wait_s} s: {why}",
    "actor_given_up": "{actor} was ended: {why}",
    "actor_died": "{actor} has died: {reason}",
    "environment_begins": "what an actor needs is being installed: {wants}",
    "environment_goes_on": "what {type} needs is still being installed: {says}",
    "environment_made": "{wants}: installed in {took_s} s",
    "environment_failed": "{wants}: not installed: {why}",
    "actor_upgraded": "{actor} has other code",
    "orphans_unwatched": "what actors' processes start would outlive a kill of this node: {error}",
    "actor_abandoned": "{actor} is gone without its on_stop: {remains}",
    "process_held": "{name} has stopped, and ends now without what actors left running ({by})",
    "actor_stopped": "{actor} has ended",
    "actor_failed": "{actor} failed: {reason}",
    "action_failed": "{actor}.{action} on {node} raised {error}",
    "action_slow": "{actor} blocks the actors here, in {action} ({where}): {advice}",
    "kernel_slow": "the node's own work holds up its actors, in {work} ({where})",
    "loop_blocked": "{actor} blocks all actors of {node}, in {action} ({where})",
    "thread_not_given": "{actor} stays in the loop that it has blocked: {why}",
    "loop_free": "{actor} no longer blocks {node}: it did for {seconds} s",
    "dead_letter": "dead letter: {target}.{action} from {sender}: {reason}",
    "look_failed": "{peer} didn't say its {what}: {why}",
}
"""By event, with the names of its fields."""
