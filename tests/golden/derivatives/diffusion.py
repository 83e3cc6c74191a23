def grad_diffusion(u, steps, rate):
    u_n = len(u)
    u = u.copy()
    for _ in range(steps):
        w = u[1:u_n - 1].copy()
        u[1:u_n - 1] = w + rate * (u[:u_n - 2] - 2.0 * w + u[2:])
    u_ct = u + u
    for _ in reversed(range(steps)):
        w1 = u_ct[1:u_n - 1].copy()
        u_ct[1:u_n - 1] = 0.0
        w2 = rate * w1
        u_ct[2:] += w2
        u_ct[:u_n - 2] += w2
        u_ct[1:u_n - 1] += w1 + 2.0 * -w2
    return u_ct
