"""What an evaluation is: plain values and pure functions.

Nothing in this package touches the network, a file other than its own data, Ray or Prefect.  Read in this order:
``principals`` who asks, ``scenario`` what is asked, ``serialization`` how it reaches a model, ``protocol`` how an
episode proceeds, ``families`` the benchmark's four kinds of scenario, ``plan`` which episodes a run owes.
"""
