"""Many runs, large runs, resumed runs."""
