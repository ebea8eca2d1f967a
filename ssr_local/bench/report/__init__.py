"""From rows and labelled steps to figures, a document and plots. Pure but for the plots."""
