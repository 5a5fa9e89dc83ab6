def write(rows, whole): pass
