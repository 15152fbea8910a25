for (const button of document.querySelectorAll("[data-copy]")) {
  const code = button.parentElement.querySelector("code");
  const said = (words) => { button.textContent = words; setTimeout(() => { button.textContent = "Copy"; }, 1600); };
  const select = () => {
    const range = document.createRange();
    range.selectNodeContents(code);
    const chosen = getSelection();
    chosen.removeAllRanges();
    chosen.addRange(range);
    return document.execCommand("copy");
  };
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      said("Copied");
    } catch {
      said(select() ? "Copied" : "Selected");
    }
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details:not(.quiet)").forEach((d) => {
  if (!d.open) { d.open = true; d.dataset.closed = ""; }
}));
addEventListener("afterprint", () => document.querySelectorAll("details[data-closed]").forEach((d) => {
  d.open = false;
  delete d.dataset.closed;
}));
