"""The experiments of parts III and IV: each module says what is run, and runs one of it.

A module of this package is one experiment, named like its chapter and its file of results in
``chapters/data``. It has

``tasks()``
    The variants that are compared, each a ``protocol.Task``. What to run follows from them and from
    the runs that are there, so that later runs may depend on earlier ones (a learning rate that a
    search has found).
``settings(runs)``
    Only where that is not enough: what to run itself, a list of dicts that can be written as JSON.
``run(setting)``
    The result of one of them, a dict that can be written as JSON. The chapter calls it too.

A module that measures time says ``ALONE = True``: it runs with nothing beside it, each run in a
process of its own.
"""
