"""What this machine can do: the rate of its disk and its copies, and the sizes that follow."""
