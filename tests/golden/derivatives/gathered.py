def grad_gathered(table, at):
    table_n = len(table)
    w = table[at]
    w1 = w * w
    table_ct = np.zeros(table_n)
    np.add.at(table_ct, at, w1 + w1 + w1)
    return table_ct
