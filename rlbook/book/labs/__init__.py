"""The labs: for each chapter, a function that draws one figure, and a few sliders around it."""
