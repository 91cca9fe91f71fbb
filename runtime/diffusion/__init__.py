"""Schedules, noise, the denoising loop, and views that are known beforehand."""
