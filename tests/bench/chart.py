"""The results as an SVG chart: messages a second of each server, a bar each, scaled within its scenario."""
from xml.sax.saxutils import escape

COLOURS = {"postfix": "#9aa5b1", "postern": "#2b6cb0", "limit": "#d69e2e"}
WIDTH, LABEL, BAR, GAP = 900, 330, 16, 14  # pixels


def draw(results):
    rows = [(name, {server: figures["rate"] for server, figures in medians.items()})
            for name, medians in results.items() if all("rate" in figures for figures in medians.values())]
    parts, y = [], 40
    for name, rates in rows:
        parts.append(f'<text x="{LABEL - 10}" y="{y + BAR * len(rates) / 2 + 4}" text-anchor="end">{escape(name)}</text>')
        for server, rate in rates.items():
            length = (WIDTH - LABEL - 160) * rate / max(rates.values())
            parts.append(f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{COLOURS[server]}"/>')
            parts.append(f'<text x="{LABEL + length + 6:.1f}" y="{y + BAR - 5}">{rate:.0f} {escape(server)}</text>')
            y += BAR
        y += GAP
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
            'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
            '<text x="10" y="22" font-size="14">Messages a second, all durable before 250; each group on its own scale</text>\n'
            + "\n".join(parts) + "\n</svg>\n")
