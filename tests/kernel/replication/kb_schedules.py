"""Orders of cuts, crashes and slow disks, each steered towards one moment within an attempt."""

from __future__ import annotations

from copy import deepcopy

from kb_steered import AttemptView, Steered

NAMES = ("n1", "n2", "n3", "n4", "n5")


def _part_with_tails() -> Steered:
    """{n1, n2, n3} | {n4, n5}: u1 is ordered at the first only, t0 to t2 at the others only."""
    cluster = Steered(*NAMES)
    cluster.found(*NAMES)
    cluster.change("n4", "t0", "t1", "t2")
    cluster.run_ms(2.5)  # they are on their way to n5; both sides have changes that end undecided
    cluster.part(NAMES[:3], NAMES[3:])
    cluster.change("n1", "u1")
    cluster.busy_ms["n2"] = 300.0  # so the last word for the attempt is n2's
    cluster.until(lambda: cluster.view("n1") == 3)
    return cluster


def one_sees_an_attempt_formed_and_is_cut_off() -> Steered:
    """{n1, n2, n3} | {n4, n5}, then n1 alone | the rest; nothing crashes, no disk is lost."""
    cluster = _part_with_tails()
    at_n1, at_n2 = AttemptView(cluster, "n1"), AttemptView(cluster, "n2")
    # What follows steers towards one moment. A protocol that never comes to it is as good.
    cluster.comes(lambda: at_n1.lacks_one_word(3), 2_000)
    sent = at_n2.messages_sent()
    cluster.comes(lambda: at_n2.messages_sent() > sent, 2_000)
    cluster.cut("n1", "n2")  # n1 hears that all have heard n2, they don't hear that n1 has
    cluster.cut("n1", "n3")
    cluster.comes(lambda: cluster.is_primary("n1"), 1_000)
    cluster.cut("n2", "n1")
    cluster.cut("n3", "n1")
    cluster.busy_ms.clear()
    cluster.until(lambda: cluster.view("n2") == 2 and cluster.view("n1") == 1)
    cluster.run_ms(1_500)
    cluster.join(("n2", "n3"), ("n4", "n5"))
    cluster.until(lambda: cluster.members("n2") == NAMES[1:] == cluster.members("n4"))
    return cluster


def power_goes_before_the_mark() -> Steered:
    """All of {n1, n2, n3} form a primary, whose marks aren't on disk; then n1 stays away."""
    cluster = _part_with_tails()
    at_n1 = AttemptView(cluster, "n1")
    cluster.comes(lambda: at_n1.lacks_one_word(3), 2_000)
    cluster.busy_ms |= {"n1": 900.0, "n3": 900.0}
    cluster.comes(lambda: cluster.is_primary("n1"), 1_000)
    cluster.comes(lambda: cluster.is_acknowledged("u1"), 250)
    for name in NAMES[:3]:
        cluster.disks[name].forget()
        cluster.crash(name, refused=True)
    cluster.busy_ms.clear()
    cluster.join(NAMES[:3], NAMES[3:])
    cluster.start("n2")
    cluster.start("n3")
    cluster.until(lambda: cluster.members("n2") == NAMES[1:] == cluster.members("n4"))
    return cluster


def a_word_is_the_last_and_its_voice_is_cut_off() -> Steered:
    """n5 stops; the word of n1 for the attempt without n5 is the last, and n1 is cut off."""
    cluster = Steered(*NAMES)
    cluster.found(*NAMES)
    cluster.change("n1", "t0")
    cluster.until(lambda: cluster.is_acknowledged("t0"))
    cluster.run_ms(200)
    cluster.busy_ms["n1"] = 250.0
    cluster.retire("n5")
    cluster.run_ms(40)
    cluster.part(("n1",), NAMES[1:])
    cluster.run_ms(220)
    cluster.change("n1", "u0", "u1", "u2")  # these are behind its word, and reach nobody
    cluster.run_ms(100)
    cluster.busy_ms.clear()
    cluster.stop("n5")
    cluster.run_ms(4_000)
    cluster.change("n2", "x")
    cluster.until(lambda: cluster.is_acknowledged("x"), 1_000)
    return cluster


def a_disk_is_lost_beside_a_node_that_is_behind() -> Steered:
    """n2 knows {n1, n2} only; n1, which went on with n3 and n4, has a new disk."""
    cluster = Steered(*NAMES[:4])
    cluster.found("n1", "n2")
    cluster.crash("n2", refused=True)
    cluster.until(lambda: cluster.members("n1") == ("n1",))
    cluster.start("n3")
    cluster.start("n4")
    cluster.until(lambda: cluster.members("n3") == ("n1", "n3", "n4") == cluster.members("n4"))
    cluster.change("n3", "x")
    cluster.until(lambda: cluster.is_acknowledged("x"))
    cluster.crash("n1", refused=True)
    cluster.disks["n1"].lose()
    cluster.part(("n1", "n2"), ("n3", "n4"))
    cluster.start("n1")
    cluster.start("n2")
    cluster.run_ms(3_000)
    cluster.change("n2", "y")
    cluster.change("n3", "z")
    cluster.run_ms(2_000)
    return cluster


def a_disk_goes_back_before_a_primary_that_another_knows() -> Steered:
    """x is on the disks of n1 and n2; n2 returns with an older copy, and n1 stays away."""
    cluster = Steered(*NAMES[:3])
    cluster.found(*NAMES[:3])
    copy = deepcopy(cluster.disks["n2"])
    cluster.crash("n3", refused=True)
    cluster.until(lambda: cluster.members("n2") == ("n1", "n2"))
    cluster.start("n3")
    cluster.until(lambda: cluster.members("n3") == NAMES[:3])
    cluster.busy_ms["n3"] = 5_000.0
    cluster.change("n1", "x")
    cluster.until(lambda: "x" in cluster.disks["n1"].ids() & cluster.disks["n2"].ids())
    cluster.run_ms(20)
    for name in NAMES[:3]:
        cluster.crash(name, refused=True)
    cluster.busy_ms.clear()
    cluster.disks["n2"] = copy
    cluster.start("n2")
    cluster.start("n3")
    cluster.run_ms(3_000)
    cluster.change("n3", "y")
    cluster.run_ms(2_000)
    cluster.start("n1")
    cluster.until(lambda: cluster.members("n2") == NAMES[:3])
    cluster.run_ms(500)
    return cluster
