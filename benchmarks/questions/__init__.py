"""One module for each question: `ask(bench)` measures and returns JSON data, which the page makes tables and plots of."""
