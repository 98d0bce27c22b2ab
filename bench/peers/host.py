"""Host loops in Python, as bench/host.model has them: host.py TURNS prints each work with the seconds of its fastest turn."""

import sys
import time

turns = int(sys.argv[1])


def timed(name, work, want):
    best = float("inf")
    for turn in range(turns):
        begin = time.perf_counter()
        got = work()
        best = min(best, time.perf_counter() - begin)
        assert got == want, f"{name} gives {got}, not {want}"
    print(name, best)


def ints():
    s = 0
    for i in range(300000):
        s += i * 3 % 7 - 2
    return s


def floats():
    x = 0.5
    for i in range(300000):
        x = 3.5 * x * (1.0 - x)
    return 0.0 < x and x < 1.0


def collatz():
    longest = 0
    for start in range(1, 3000):
        n = start
        steps = 0
        while n != 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            steps += 1
        if steps > longest:
            longest = steps
    return longest


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def calls():
    return fib(22)


def lists():
    xs = []
    for i in range(100000):
        xs.append(i)
    s = 0
    for i in range(len(xs)):
        s += xs[i]
    for x in xs:
        s += x
    return s


def sieve():
    n = 100000
    prime = [True] * n
    for i in range(2, 317):
        if prime[i]:
            for j in range(i * i, n, i):
                prime[j] = False
    return sum([1 for i in range(2, n) if prime[i]])


def dicts():
    d = {}
    for i in range(100000):
        k = i % 1000
        d[k] = d.get(k, 0) + i
    s = 0
    for k in d:
        s += d[k] % 10
    return s


words = "the quick brown fox jumps over the lazy dog and the cat".split(" ")


def counts():
    seen = {}
    for turn in range(5000):
        for word in words:
            if word in seen:
                seen[word] += 1
            else:
                seen[word] = 1
    return seen["the"]


def strings():
    out = ""
    for i in range(50000):
        out += f"{i},"
    parts = []
    for i in range(50000):
        parts.append(str(i))
    return len(out) + len("".join(parts))


text = "abcdefghij" * 5000


def characters():
    vowels = 0
    for i in range(len(text)):
        if text[i] in "aeiou":
            vowels += 1
    return vowels


class Account:
    def __init__(self, balance):
        self.balance = balance
        self.moves = 0

    def add(self, amount):
        self.balance = self.balance + amount
        self.moves += 1


def objects():
    a = Account(0.0)
    for i in range(60000):
        a.add(0.5)
    return a.moves + int(a.balance)


def closures():
    add = lambda n: lambda x: x + n
    three = add(3)
    s = 0
    for i in range(100000):
        s = three(s)
    return s


def sorting():
    xs = []
    seed = 1
    for i in range(30000):
        seed = (seed * 1103515245 + 12345) % 2147483648
        xs.append(seed)
    xs = sorted(xs)
    ys = sorted([-x for x in xs])
    return xs[0] + ys[len(ys) - 1]


def tuples():
    s = 0
    for i, (a, b) in enumerate(zip(range(60000), range(60000, 0, -1))):
        (x, y) = (a, b)
        s += x - y + i
    return s


timed("ints", ints, 299997)
timed("floats", floats, True)
timed("collatz", collatz, 216)
timed("calls", calls, 17711)
timed("lists", lists, 9999900000)
timed("sieve", sieve, 9592)
timed("dicts", dicts, 0)
timed("counts", counts, 15000)
timed("strings", strings, 527780)
timed("characters", characters, 15000)
timed("objects", objects, 90000)
timed("closures", closures, 300000)
timed("sorting", sorting, 0)
timed("tuples", tuples, 1799910000)
