"""The harness: backbone, inputs, protocols, runner, record, tables and command line."""
