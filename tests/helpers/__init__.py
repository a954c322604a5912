"""What several tests are made of: exams, models, DICOM files."""
