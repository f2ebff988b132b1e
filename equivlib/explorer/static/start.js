// The elements that draw themselves, each where the page has one.

customElements.define(`one-matrix-layer-${VERSION}`, LayerPicture);
customElements.define(`one-matrix-network-${VERSION}`, NetworkPicture);
