"""Makes the example databases: shop, school and works, the same every time.

python seed.py [FOLDER]      writes FOLDER/shop.sqlite, school.sqlite and works.sqlite; by default beside this file

The scripts are SQL that SQLite and PostgreSQL both understand, so the questions can be asked to either.
"""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

Value = int | float | str | None

SHOP = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT, email TEXT, joined TEXT NOT NULL);
CREATE TABLE product (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT, price DOUBLE PRECISION NOT NULL, discontinued TEXT);
CREATE TABLE "order" (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer (id), placed TEXT NOT NULL,
  "ship date" TEXT);
CREATE TABLE "order item" (
  order_id INTEGER NOT NULL REFERENCES "order" (id), product_id INTEGER NOT NULL REFERENCES product (id),
  quantity INTEGER NOT NULL, "unit price" DOUBLE PRECISION NOT NULL, PRIMARY KEY (order_id, product_id));
CREATE TABLE review (
  id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL REFERENCES product (id),
  customer_id INTEGER REFERENCES customer (id), stars INTEGER NOT NULL, comment TEXT);
"""
SCHOOL = """
CREATE TABLE teacher (id INTEGER PRIMARY KEY, name TEXT NOT NULL, hired TEXT NOT NULL, "left" TEXT);
CREATE TABLE course (
  id INTEGER PRIMARY KEY, title TEXT NOT NULL, teacher_id INTEGER REFERENCES teacher (id), credits INTEGER NOT NULL);
CREATE TABLE student (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born TEXT, "group" TEXT NOT NULL);
CREATE TABLE enrolment (
  student_id INTEGER NOT NULL REFERENCES student (id), course_id INTEGER NOT NULL REFERENCES course (id),
  "when" TEXT NOT NULL, grade INTEGER, PRIMARY KEY (student_id, course_id));
"""
NAMES = ["Ada", "Bo", "Cy", "Dee", "Eli", "Fay", "Gus", "Hal", "Ida", "Jo", "Kit", "Lea", "Max", "Nia", "Ola", "Pia"]
NAMES += ["Quy", "Ray"]
PRODUCTS = ["Lamp", "Desk", "Chair", "Rug", "Shelf", "Vase", "Clock", "Stool", "Mirror", "Kettle", "Mug", "Plate"]
AREAS: Mapping[str, str] = {
    "plant": "site line machine sensor reading shift operator downtime inspection defect",
    "stock": "part supplier delivery shelf bin pallet stocktake scrap tool spare",
    "sales": "client quote contract invoice payment shipment carrier complaint refund visit",
    "staff": "worker team training certificate absence contract_type payslip locker badge survey",
}
"""The 40 tables of ``works``, ten in each area; a table is called AREA_NAME."""
LINKS: Mapping[str, str] = {
    "plant_line": "plant_site", "plant_machine": "plant_line", "plant_sensor": "plant_machine",
    "plant_reading": "plant_sensor", "plant_downtime": "plant_machine", "plant_defect": "plant_inspection",
    "plant_inspection": "plant_machine", "stock_part": "stock_supplier", "stock_delivery": "stock_supplier",
    "stock_scrap": "stock_part", "sales_quote": "sales_client", "sales_contract": "sales_client",
    "sales_invoice": "sales_contract", "sales_payment": "sales_invoice", "sales_shipment": "sales_contract",
    "staff_worker": "staff_team", "staff_training": "staff_worker", "staff_absence": "staff_worker",
}  # fmt: skip
"""Tables of ``works`` that refer to another one."""


def scripts() -> Mapping[str, str]:
    """The SQL that makes and fills each database, by its name."""
    return {"shop": _shop(), "school": _school(), "works": _works()}


def build(folder: Path) -> list[Path]:
    """Writes the databases into a folder, over those that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, script in scripts().items():
        path = folder / f"{name}.sqlite"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
        paths.append(path)
    return paths


def _shop() -> str:
    draw = random.Random(1)
    cities = ["Oslo", "Bergen", "Oslo", "Tromsø", None]
    customers = [
        (
            i,
            NAMES[i - 1],
            cities[i % 5],
            None if i % 4 == 0 else f"{NAMES[i - 1].lower()}@example.org",
            _day(draw, 2022),
        )
        for i in range(1, 16)
    ]
    kinds = ["office", "office", "home", "kitchen"]
    products = [
        (i, name, kinds[i % 4], draw.choice([4.5, 12.0, 30.0, 99.5]), _day(draw, 2023) if i % 5 == 0 else None)
        for i, name in enumerate(PRODUCTS, 1)
    ]
    orders = [
        (i, draw.randint(1, 12), placed := _day(draw, 2023 + i % 2), None if i % 6 == 0 else placed[:8] + "28")
        for i in range(1, 41)
    ]
    items = [
        (i, product, draw.randint(1, 5), products[product - 1][3])
        for i in range(1, 41)
        for product in sorted(draw.sample(range(1, 12), draw.randint(1, 3)))
    ]
    words = ["good", "good", "broke", None]
    reviews = [
        (i, draw.randint(1, 10), None if i % 7 == 0 else draw.randint(1, 15), draw.randint(1, 5), draw.choice(words))
        for i in range(1, 31)
    ]
    rows = {"customer": customers, "product": products, '"order"': orders, '"order item"': items, "review": reviews}
    return SHOP + _inserts(rows)


def _school() -> str:
    draw = random.Random(2)
    teachers = [
        (1, "Ito", "2010-08-01", None), (2, "Berg", "2015-01-15", "2023-06-30"), (3, "Cole", "2015-01-15", None),
        (4, "Diaz", "2020-08-01", None), (5, "Berg", "2021-08-01", None),
    ]  # fmt: skip
    titles = ["Algebra", "Biology", "Chemistry", "Drama", "English", "French", "Algebra"]
    courses = [(i, title, None if i == 6 else 1 + i % 4, [5, 10, 5, 3][i % 4]) for i, title in enumerate(titles, 1)]
    students = [
        (i, name, None if i == 9 else _day(draw, 2005 + i % 3), "ABC"[i % 3]) for i, name in enumerate(NAMES, 1)
    ]
    enrolments = [
        (
            i,
            course,
            "2023-09-01" if course % 2 else "2024-01-15",
            None if (i + course) % 6 == 0 else draw.randint(4, 10),
        )
        for i in range(1, 17)
        for course in sorted(draw.sample(range(1, 6), draw.randint(1, 4)))
    ]
    return SCHOOL + _inserts({"teacher": teachers, "course": courses, "student": students, "enrolment": enrolments})


def _works() -> str:
    draw = random.Random(3)
    parts = []
    for area, names in AREAS.items():
        for name in names.split():
            table = f"{area}_{name}"
            link = LINKS.get(table)
            columns = ["id INTEGER PRIMARY KEY", "name TEXT NOT NULL"]
            columns += [f"{link}_id INTEGER REFERENCES {link} (id)"] if link else []
            columns += ["since TEXT NOT NULL", "amount DOUBLE PRECISION", "state TEXT", "note TEXT"]
            count = 30 if link else 6
            rows = [
                (
                    i,
                    f"{name} {i}",
                    *([draw.randint(1, 6)] if link else []),
                    _day(draw, 2021 + i % 4),
                    None if i % 5 == 0 else draw.randint(1, 40) / 4,
                    ["open", "closed", "open", None][i % 4],
                    None,
                )
                for i in range(1, count + 1)
            ]
            parts.append(f"CREATE TABLE {table} ({', '.join(columns)});\n{_inserts({table: rows})}")
    return "".join(sorted(parts, key=_depth))


def _depth(script: str) -> int:
    """Tables that others refer to are made first."""
    table, depth = script.split()[2], 0
    while table in LINKS:
        table, depth = LINKS[table], depth + 1
    return depth


def _day(draw: random.Random, year: int) -> str:
    return f"{year}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"


def _inserts(tables: Mapping[str, Iterable[Sequence[Value]]]) -> str:
    return "".join(
        f"INSERT INTO {table} VALUES\n" + ",\n".join(f"({', '.join(map(_literal, row))})" for row in rows) + ";\n"
        for table, rows in tables.items()
    )


def _literal(value: Value) -> str:
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    for made in build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent):
        print(made)
