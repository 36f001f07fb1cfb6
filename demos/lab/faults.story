# Activity 5: the faults, with a member on each of three machines, and exactly what each must get.
lab spread.conf
spawn d1 ana zactor spuser -u ana
type d1 ana j lab
expect ana: join #ana#d1: #ana#d1
spawn d2 bea zactor spuser -u bea
type d2 bea j lab
expect ana,bea: join #bea#d2: #ana#d1 #bea#d2
spawn d3 eva zactor spuser -u eva
type d3 eva j lab
expect ana,bea,eva: join #eva#d3: #ana#d1 #bea#d2 #eva#d3

# A member dies: the others get a DISCONNECT. Nothing is transitional, no daemon was lost.
spawn d3 leo zactor spuser -u leo
type d3 leo j lab
expect ana,bea,eva,leo: join #leo#d3: #ana#d1 #bea#d2 #eva#d3 #leo#d3
kill d3 leo
expect ana,bea,eva: disconnect #leo#d3: #ana#d1 #bea#d2 #eva#d3
expect leo: ended

# A machine loses its network: TRANSITIONAL, then NETWORK, on both sides; both sides go on.
cable d3 out
expect ana,bea,eva: transitional
expect ana,bea: network: #ana#d1 #bea#d2 | #ana#d1 #bea#d2
expect eva: network: #eva#d3 | #eva#d3
type d1 ana s lab
type d1 ana this side
expect ana,bea: safe #ana#d1: this side
type d3 eva s lab
type d3 eva that side
expect eva: safe #eva#d3: that side
# It heals in one step, and nobody hears what was said on the other side.
cable d3 in
expect ana,bea,eva: network: #ana#d1 #bea#d2 #eva#d3 | #ana#d1 #bea#d2 / #eva#d3

# A daemon dies: its programs lose their connection, the others get what a lost network gives.
kill d3
expect ana,bea: transitional
expect ana,bea: network: #ana#d1 #bea#d2 | #ana#d1 #bea#d2
expect eva: ended
start d3
until d3: view d1 d2 d3
spawn d3 eva zactor spuser -u eva
type d3 eva j lab
expect ana,bea,eva: join #eva#d3: #ana#d1 #bea#d2 #eva#d3

# A machine crashes: as before, and nothing runs there any more.
crash d3
expect ana,bea: transitional
expect ana,bea: network: #ana#d1 #bea#d2 | #ana#d1 #bea#d2
expect eva: ended
