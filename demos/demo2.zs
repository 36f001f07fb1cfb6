% Demo 2 of the seed: the node of c1 fails. c2 is there so that something has to go on.
declareNode(n1, '127.0.0.1').
declareNode(n2, '127.0.0.1').
declareNode(n3, '127.0.0.1').
declareFactory(counter, 'counter.py').
declareFactory(gui, 'gui.py').
deployActor(counter, c1, n1).
deployActor(gui, g1, n2).
deployActor(counter, c2, n2).
deployActor(gui, g2, n3).
remoteReactInteraction(c1, g1, inc).
remoteReactInteraction(c1, g2, inc).
remoteReactInteraction(g2, c1, updateVal).
remoteReactInteraction(c2, g1, inc).
remoteReactInteraction(g2, c2, updateVal).
