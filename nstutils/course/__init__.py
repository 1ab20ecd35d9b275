"""What the lessons need besides: checks, widgets, plots, measures."""
