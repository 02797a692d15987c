"""All boards and plots of a suite, and the HTML report."""
