// The boards of the page, which ask for their numbers as there: what they would get is stored in the report itself.
const stored = JSON.parse(document.getElementById("stored").textContent);

window.fetch = async (address) => {
  const url = new URL(address, "http://report/"), [, route, , ...rest] = url.pathname.split("/");
  const found = route === "live" ? stored.live[url.searchParams.get("page")] : stored.arrays[rest.join("/")];
  return new Response(JSON.stringify(found ?? { error: "This is not in the report." }), { status: found ? 200 : 404 });
};
window.history.replaceState = () => {}; // the address of a file is not to be changed

function show() {
  for (const [page, data] of Object.entries(stored.boards)) {
    mount({ data, parentElement: document.getElementById(page), setTriggerValue() {} });
  }
}

show();
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
