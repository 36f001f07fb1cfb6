# The same faults for nodes of zactor, with `zactor group listen` on each of three machines.
lab 3
spawn n1 ana zactor group listen lab --name ana --json
expect ana: join #ana#n1: #ana#n1
spawn n2 bea zactor group listen lab --name bea --json
expect ana,bea: join #bea#n2: #ana#n1 #bea#n2
spawn n3 eva zactor group listen lab --name eva --json
expect ana,bea,eva: join #eva#n3: #ana#n1 #bea#n2 #eva#n3
exec n2 zactor group send lab hello --service safe --name me
expect ana,bea,eva: safe #me#n2: hello

# A member dies.
kill n3 eva
expect ana,bea: disconnect #eva#n3: #ana#n1 #bea#n2
expect eva: ended
spawn n3 eva zactor group listen lab --name eva --json
expect ana,bea,eva: join #eva#n3: #ana#n1 #bea#n2 #eva#n3

# A machine loses its network, and has it again.
cable n3 out
expect ana,bea,eva: transitional
expect ana,bea: network: #ana#n1 #bea#n2 | #ana#n1 #bea#n2
expect eva: network: #eva#n3 | #eva#n3
cable n3 in
expect ana,bea,eva: network: #ana#n1 #bea#n2 #eva#n3 | #ana#n1 #bea#n2 / #eva#n3

# All three apart, and one again.
cut n1 / n2 / n3
expect ana,bea,eva: transitional
expect ana: network: #ana#n1 | #ana#n1
expect bea: network: #bea#n2 | #bea#n2
expect eva: network: #eva#n3 | #eva#n3
heal
until ana,bea,eva: network: #ana#n1 #bea#n2 #eva#n3 | *

# A machine crashes.
crash n3
expect ana,bea: transitional
expect ana,bea: network: #ana#n1 #bea#n2 | #ana#n1 #bea#n2
expect eva: ended
exec n1 zactor nodes
