"""Suites that other projects wrote for their own convolutions, applied to `equivlib`."""
