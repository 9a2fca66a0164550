"""What a style looks like, in words, from what its card says of its look."""

from toonify.styles.look import Grade, Lines, Look, Tones


def describe_look(look: Look | None) -> str:
    """Contours, surfaces, colors and light in a sentence without a full stop; of no look, what there is instead."""
    if look is None:
        return "the network's own drawing with the photo's colors; --look drawn adds contours and flat tones"
    parts = [
        "no contours" if look.lines is None else _lines(look.lines),
        "shaded surfaces" if look.tones is None else _tones(look.tones),
    ]
    return ", ".join(parts if look.grade is None else [*parts, *_grade(look.grade)])


def _lines(lines: Lines) -> str:
    weight = "heavy" if lines.width > 1.1 else "fine" if lines.width < 0.75 else "clear"
    red, _, blue = lines.ink
    tint = " brown" if red > blue + 0.02 else " blue" if blue > red + 0.01 else ""
    return f"{weight}{tint} contours"


def _tones(tones: Tones) -> str:
    return f"{'flat' if tones.flat > 0.95 else 'nearly flat'} surfaces in {tones.steps} steps of light"


def _grade(grade: Grade) -> list[str]:
    strength = "muted" if grade.saturation < 1 else "vivid" if grade.saturation > 1.1 else "natural"
    light = "high-key light" if grade.lightness > 0.7 else "hard contrast" if grade.contrast > 0.5 else "soft contrast"
    glow = ["a glow around what is bright"] if grade.glow else []
    return [f"{strength} colors", light, *glow]
