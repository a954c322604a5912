"""DICOM in and out: scan headers, choose the short-axis cine, read its pixels; write derived images and SEG."""
