"""One module for each question: `ask(bench)` measures and returns JSON data; the page makes tables and plots of it."""
