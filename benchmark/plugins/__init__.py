"""What a method author imports: the learner's interface, token edits, prompt templates, and the registry."""
