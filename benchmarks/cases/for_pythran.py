# The programs for Pythran, which reads their types from comments.
import numpy as np


# pythran export selu(float32[:])
def selu(x):
    alpha, scale = np.float32(1.6732632423543772), np.float32(1.0507009873554805)
    return scale * np.where(x > 0, x, alpha * np.exp(x) - alpha)


# pythran export jacobi(int, float64[:,:], float64[:,:])
def jacobi(steps, A, B):
    for _ in range(1, steps):
        B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.2 * (B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1])


def rates(x, y, z, sigma, rho, beta):
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


# pythran export lorenz(int, float, float, float, float, float, float, float)
def lorenz(n, x, y, z, sigma, rho, beta, dt):
    for _ in range(n):
        a1, b1, c1 = rates(x, y, z, sigma, rho, beta)
        a2, b2, c2 = rates(x + 0.5 * dt * a1, y + 0.5 * dt * b1, z + 0.5 * dt * c1, sigma, rho, beta)
        a3, b3, c3 = rates(x + 0.5 * dt * a2, y + 0.5 * dt * b2, z + 0.5 * dt * c2, sigma, rho, beta)
        a4, b4, c4 = rates(x + dt * a3, y + dt * b3, z + dt * c3, sigma, rho, beta)
        x = x + dt / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)
        y = y + dt / 6.0 * (b1 + 2.0 * b2 + 2.0 * b3 + b4)
        z = z + dt / 6.0 * (c1 + 2.0 * c2 + 2.0 * c3 + c4)
    return x + y + z
