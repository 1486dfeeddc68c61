"""Tests of the three ways in, and of what they are made of."""
