"""The far ends, for `simulate`, `loadtest`, the benchmarks and the tests: Twilio, a customer, a webhook target."""
