"""``fractions`` for the interpreter, which has no such module.

The interpreter knows no ``<`` on instances of classes, which fails then; and asks no instance
whether it is true, so that all fractions are.
"""

from __future__ import annotations

MODULE = "fractions_"
"""The name that stands for the module."""

SOURCE = f"""
class Fraction:
    def __init__(self, numerator=0, denominator=1):
        top, bottom = _ratio_(numerator)
        if denominator != 1:
            other_top, other_bottom = _ratio_(denominator)
            top, bottom = top * other_bottom, bottom * other_top
        if bottom == 0:
            raise ZeroDivisionError("Fraction(" + str(top) + ", 0)")
        divisor = _gcd_(top, bottom) * (1 if bottom > 0 else -1)
        self.numerator = top // divisor
        self.denominator = bottom // divisor

    def __add__(self, other):
        if isinstance(other, float):
            return float(self) + other
        top, bottom = _ratio_(other)
        return Fraction(self.numerator * bottom + top * self.denominator, self.denominator * bottom)

    def __mul__(self, other):
        if isinstance(other, float):
            return float(self) * other
        top, bottom = _ratio_(other)
        return Fraction(self.numerator * top, self.denominator * bottom)

    def __truediv__(self, other):
        if isinstance(other, float):
            return float(self) / other
        top, bottom = _ratio_(other)
        return Fraction(self.numerator * bottom, self.denominator * top)

    def __rtruediv__(self, other):
        if isinstance(other, float):
            return other / float(self)
        return Fraction(other) / self

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __neg__(self):
        return Fraction(-self.numerator, self.denominator)

    def __abs__(self):
        return Fraction(abs(self.numerator), self.denominator)

    def __floordiv__(self, other):
        quotient = self / other
        return quotient.numerator // quotient.denominator

    def __mod__(self, other):
        return self - other * (self // other)

    def __pow__(self, power):
        if not isinstance(power, int):
            return float(self) ** float(power)
        if power < 0:
            return Fraction(self.denominator ** -power, self.numerator ** -power)
        return Fraction(self.numerator ** power, self.denominator ** power)

    def __eq__(self, other):
        if isinstance(other, float):
            return float(self) == other
        if not isinstance(other, (int, Fraction)):
            return False
        top, bottom = _ratio_(other)
        return self.numerator == top and self.denominator == bottom

    def __hash__(self):
        return hash(self.numerator if self.denominator == 1 else (self.numerator, self.denominator))

    def __int__(self):
        whole = abs(self.numerator) // self.denominator
        return whole if self.numerator >= 0 else -whole

    def __float__(self):
        return self.numerator / self.denominator

    def __round__(self, digits=None):
        power = 10 ** (digits or 0)
        whole, rest = divmod(self.numerator * power, self.denominator)
        if 2 * rest > self.denominator or (2 * rest == self.denominator and whole % 2):
            whole += 1
        return whole if digits is None else Fraction(whole, power)

    def __repr__(self):
        return "Fraction(" + str(self.numerator) + ", " + str(self.denominator) + ")"

    def __str__(self):
        if self.denominator == 1:
            return str(self.numerator)
        return str(self.numerator) + "/" + str(self.denominator)

    def limit_denominator(self, most=1000000):
        if self.denominator <= most:
            return self
        older, newer = (0, 1), (1, 0)
        top, bottom = self.numerator, self.denominator
        while older[1] + top // bottom * newer[1] <= most:
            whole = top // bottom
            older, newer = newer, (older[0] + whole * newer[0], older[1] + whole * newer[1])
            top, bottom = bottom, top - whole * bottom
        steps = (most - older[1]) // newer[1]
        near = Fraction(newer[0], newer[1])
        other = Fraction(older[0] + steps * newer[0], older[1] + steps * newer[1])
        further = abs(near - self) - abs(other - self)
        return near if further.numerator <= 0 else other


def _gcd_(a, b):
    while b:
        a, b = b, a % b
    return abs(a)


def _ratio_(value):
    if isinstance(value, Fraction):
        return value.numerator, value.denominator
    if isinstance(value, int):
        return int(value), 1
    if isinstance(value, float):
        bottom = 1
        while value != int(value):
            value, bottom = value * 2, bottom * 2
        return int(value), bottom
    text = str(value)
    if "/" in text:
        top, bottom = text.split("/")
        return int(top), int(bottom)
    top, _, digits = text.strip().partition(".")
    return int(top + digits), 10 ** len(digits)


class {MODULE}:
    Fraction = Fraction
"""
