% Demo 4 of the seed: c1 is lazy, it takes half a second over each inc.
declareNode(n1, '127.0.0.1').
declareNode(n2, '127.0.0.1').
declareFactory(lazyCounter, 'counter.py').
declareFactory(failCounter, 'counter.py').
declareFactory(gui, 'gui.py').
deployActor(gui, g1, n2).
deployActor(gui, g2, n2).
