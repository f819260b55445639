"use strict";
// Each frame becomes as high as its mail; without this script it scrolls inside.
const fit = (frame) => {
  const page = frame.contentDocument && frame.contentDocument.body;
  if (page && page.scrollHeight > 0) frame.style.height = page.scrollHeight + "px";
};
const fitAll = () => document.querySelectorAll("iframe").forEach(fit);
document.querySelectorAll("iframe").forEach((frame) => frame.addEventListener("load", () => fit(frame)));
document.querySelectorAll(".schemes input").forEach((one) => one.addEventListener("change", fitAll));
addEventListener("resize", fitAll);
addEventListener("load", fitAll);
