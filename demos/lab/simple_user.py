"""simple_user.c of Spread's examples, with the names of Spread's C library."""

from zactor.spread.c_api import SP_connect, SP_disconnect, SP_join, SP_multicast, SP_receive
from zactor.spread.c_constants import (
    AGREED_MESS,
    Is_caused_join_mess,
    Is_regular_mess,
)

GROUP = "simple_group"


def main() -> None:
    """Run against the daemon of this machine."""
    mailbox, private_group = SP_connect("4803", "simple", 0, 1)
    print(f"connected as {private_group}")
    SP_join(mailbox, GROUP)
    while not Is_caused_join_mess((got := SP_receive(mailbox)).service_type):
        pass
    count = len(got.groups)
    print(f"received REGULAR membership caused by JOIN for group {got.sender} with {count} members")
    SP_multicast(mailbox, AGREED_MESS, GROUP, 1, b"hello from simple_user")
    while not Is_regular_mess((got := SP_receive(mailbox)).service_type):
        pass
    print(f"received AGREED message from {got.sender}: {got.message.decode()}")
    SP_disconnect(mailbox)
    print("bye")


if __name__ == "__main__":
    main()
