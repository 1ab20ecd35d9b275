"""`python -m nstutils` is the same as `nstutils`."""

from nstutils.cli import main

raise SystemExit(main())
