{% macro type_in_words(data_type) -%}
    {%- set base = data_type.split('(')[0] -%}
    {%- if base == 'int' -%}
        a whole number from -2147483648 to 2147483647
    {%- elif base == 'bigint' -%}
        a whole number of 64 bits
    {%- elif base == 'decimal' -%}
        {%- set precision, scale = data_type[8:-1].split(',') -%}
        {{- 'a plain decimal with at most ' ~ (precision | int - scale | int)
            ~ ' digits before the point and ' ~ scale ~ ' after it' -}}
    {%- elif base == 'date' -%}
        a valid date written yyyy-MM-dd
    {%- elif base == 'boolean' -%}
        true, t, yes, y or 1, or false, f, no, n or 0
    {%- else -%}
        a text
    {%- endif -%}
{%- endmacro %}
