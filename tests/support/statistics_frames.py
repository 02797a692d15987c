"""The source of transfer in drawn frames."""

SOURCE = ("source", "Source")
