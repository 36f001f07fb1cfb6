# Activity 3: spuser. Groups, messages to a group, to a member alone, several groups, a burst.
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
# To a group: its sender hears it too.
type d2 bea s lab
type d2 bea hello all
expect ana,bea,eva: safe #bea#d2: hello all
# To one member, by the name of its private group.
type d2 bea s #ana#d1
type d2 bea only for you
expect ana: safe #bea#d2: only for you
silent bea,eva 0.3
# To two groups: whoever is in both gets it once.
type d3 eva j other
expect eva: join #eva#d3: #eva#d3
type d1 ana s lab other
type d1 ana once each
expect ana,bea,eva: safe #ana#d1: once each
# Who leaves is told so, and hears nothing of the group from there on.
type d2 bea l lab
expect bea: left
expect ana,eva: leave #bea#d2: #ana#d1 #eva#d3
# Who is no member may send.
type d2 bea s lab
type d2 bea from outside
expect ana,eva: safe #bea#d2: from outside
type d2 bea q
expect bea: ended
