"""What benchmarks let a gateway hear: bad lines, noise, music, and voices that nobody has."""
