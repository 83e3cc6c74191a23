def grad_pendulum(angle, speed, length, steps, dt):
    t = length != 0.0
    t1 = dt * 9.81 / length
    w = np.empty(steps)
    angle1 = np.empty(steps)
    for _1 in range(steps):
        angle1[_1] = angle
        if not t:
            raise ZeroDivisionError('float division by zero')
        t2 = np.sin(angle)
        w[_1] = t2
        speed -= t1 * t2
        angle += dt * speed
    angle_ct = 1.0
    speed_ct = 0.0
    t3 = 0.0
    for _2 in reversed(range(steps)):
        angle2 = angle1[_2]
        speed_ct += dt * angle_ct
        t4 = -speed_ct
        angle_ct += t1 * t4 * np.cos(angle2)
        t3 += w[_2] * t4
    length_ct = -(t3 * t1 / length)
    return angle_ct, speed_ct, length_ct
