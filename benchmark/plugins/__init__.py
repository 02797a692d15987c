"""What a method author imports: the learner's interface, interventions, templates, and the registry."""
