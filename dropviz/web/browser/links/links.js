// Links: in a box with a button that copies it, or to a file that the browser keeps.

export default function (component) {
  const { data, parentElement: parent } = component;
  const text = JSON.stringify(data);
  let root = parent.querySelector(".dv-links");
  if (root?.dataset.of === text) return;
  root?.closest("section").remove();
  root = element("div", "dv-links");
  root.dataset.of = text;
  root.append(...data.links.map((link) => link.copied ? copied(link, data.base) : kept(link, data.base)));
  if (data.links.some((link) => link.copied) && /^(localhost|127\.|\[::1\])/.test(location.hostname)) {
    root.append(element("p", "", "This server can be reached from this computer only: dropviz serve --host 0.0.0.0 lets others in."));
  }
  const section = element("section", "dropviz");
  section.append(root);
  parent.append(section);
  // A popover lies at the end of the page, far from its button by Tab: whoever has just opened it goes on inside.
  if (document.activeElement?.closest("[data-testid=stPopover]")) root.querySelector("input, a")?.focus({ preventScroll: true });
}

function copied(link, base) {
  const row = element("div", "dv-link"), line = element("div", "dv-line");
  const url = `${location.origin}${base}/${link.path}`;
  const box = element("input"), button = element("button", "", "Copy"), told = element("span", "dv-told");
  Object.assign(box, { readOnly: true, value: link.around ? link.around.replace("{url}", url) : url });
  box.setAttribute("aria-label", link.title);
  box.addEventListener("focus", () => box.select());
  button.type = "button";
  button.setAttribute("aria-label", `Copy: ${link.title}`);
  told.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    const done = await copy(box);
    told.textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { told.textContent = ""; }, 3000);
  });
  line.append(box, button);
  row.append(element("strong", "", link.title), told, line);
  if (link.note) row.append(element("p", "", link.note));
  return row;
}

// Browsers give the clipboard to secure pages only; over plain http the selected text is copied in the old way.
async function copy(box) {
  try {
    await navigator.clipboard.writeText(box.value);
    return true;
  } catch {
    box.focus();
    box.select();
    return document.execCommand("copy");
  }
}

function kept(link, base) {
  const row = element("a", "dv-file");
  row.href = `${base}/${link.path}`;
  row.download = "";
  row.append(element("strong", "", link.title), element("span", "", link.note));
  return row;
}
