# Activities 1 and 2: one spread.conf on three machines, and a daemon on each.
lab spread.conf
exec d1 grep d3 spread.conf
exec d1 zactor spmonitor status
# A machine crashes, and comes back with its daemon: it is one of them again.
crash d3
expect d1,d2: view d1 d2
start d3
until d1,d2,d3: view d1 d2 d3
