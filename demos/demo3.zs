% Demo 3 of the seed: the network of demo 1, but for c1 -> g2, in which the master dies.
declareNode(n1, '127.0.0.1').
declareNode(n2, '127.0.0.1').
declareFactory(counter, 'counter.py').
declareFactory(gui, 'gui.py').
deployActor(gui, g1, n1).
deployActor(counter, c1, n1).
deployActor(gui, g2, n2).
remoteReactInteraction(c1, g1, inc).
remoteReactInteraction(c1, g2, inc).
