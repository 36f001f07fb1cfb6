% Demo 1 of the seed. n1: g1, c1. n2: g2. g1, g2 -> c1 and c1 -> g2.
declareNode(n1, '127.0.0.1').
declareNode(n2, '127.0.0.1').
declareFactory(counter, 'counter.py').
declareFactory(gui, 'gui.py').
deployActor(gui, g1, n1).
deployActor(counter, c1, n1).
deployActor(gui, g2, n2).
remoteReactInteraction(c1, g1, inc).        % on one machine: a direct call
remoteReactInteraction(c1, g2, inc).        % from n2 to n1
remoteReactInteraction(g2, c1, updateVal).  % from n1 to n2
