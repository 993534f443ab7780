/** A page, or a redirect to the shop. */
export interface Shown {
  status: number;
  html?: string;
  location?: string;
}

/** A complete HTML page without scripts, for any screen size, in a light or dark color scheme. */
export function layout(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>
:root { color-scheme: light dark; --accent: light-dark(#4338ca, #a5b4fc); }
body { margin: 0 auto; max-width: 26rem; padding: 3rem 1.25rem; font: 1.0625rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; }
form { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.75rem 0; }
button { flex: 1 1 9rem; padding: .8rem 1rem; font: inherit; font-weight: 600; border-radius: .5rem; cursor: pointer;
  border: 1px solid var(--accent); background: var(--accent); color: light-dark(#fff, #1e1b4b); }
button.quiet { background: none; color: var(--accent); }
a { color: var(--accent); }
</style>
</head>
<body>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`;
}

/** A text that is escaped for HTML, between tags or in a quoted attribute. */
export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
