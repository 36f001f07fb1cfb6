# Activity 4: the example simple_user connects, joins simple_group, sends a line and waits for it.
lab simple_user.toml
spawn d2 other zactor spuser -u other
type d2 other j simple_group
expect other: join #other#d2: #other#d2
spawn d1 simple python3 simple_user.py
expect simple: connected as #simple#d1
expect simple: received REGULAR membership caused by JOIN for group simple_group with 2 members
expect simple: received AGREED message from #simple#d1: hello from simple_user
expect simple: bye
expect other: join #simple#d1: #simple#d1 #other#d2
expect other: agreed #simple#d1: hello from simple_user
expect other: disconnect #simple#d1: #other#d2
expect simple: ended
