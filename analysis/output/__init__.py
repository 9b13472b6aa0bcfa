"""What all rooms write with.

- `result`: the frame of every result's JSON (`Result`; `Document` where there are no warnings and no time).
- `result_files`: write a result into a folder (`result_folder`), with its tables, arrays, texts and figures.
- `folders`, `writers`: the pieces below it, for files that belong to no result: folders and single files, each whole
  or not at all.
- `wording`, `markdown`: numbers, names, tables and sentences for the terminal, figures and pages.
- `figure_style`, `model_points`, `montage`: how figures look; models as points of a scatter plot; pictures in a grid.
- `page`: self-contained HTML pages.
"""
