with

source as (

    select * from {{ source('retail', 'customer') }}

),

stg_retail__customers as (

    select
        customer_id,
        trim(first_name) as first_name,
        trim(last_name) as last_name,
        trim(address) as address,
        trim(pincode) as pincode,
        trim(phone_number) as phone_number,
        customer_joining_date as joining_date

    from source

)

select * from stg_retail__customers
