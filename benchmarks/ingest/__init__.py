"""What ``bench_ingest`` measures: the servers, one measurement of one of them, the table of all."""
